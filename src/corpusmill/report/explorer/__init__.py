"""`corpusmill explore`: a finished run in a browser, on this machine only."""
