"""corpusmill: raw web crawls, books and source code in, language-model training data out."""

__version__ = "0.1.0"
