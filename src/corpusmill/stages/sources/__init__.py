"""Where documents come from: formats of files, and how text is taken out of them."""
