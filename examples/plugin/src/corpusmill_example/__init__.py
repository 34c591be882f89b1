"""What this package adds to corpusmill: a module for each kind; pyproject.toml names them."""
