"""Numbers by themselves, with others, and over whole axes."""
