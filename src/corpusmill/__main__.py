"""`python -m corpusmill` is the command `corpusmill`."""

from corpusmill.cli import main

if __name__ == "__main__":
    main()
