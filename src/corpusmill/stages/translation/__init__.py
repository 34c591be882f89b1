"""Machine translation for the stage `augment`: one protocol, one module for each engine."""
