"""HTML pages: each one file that needs nothing else, from the templates of this folder."""
