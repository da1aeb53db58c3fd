"""Numbers moved and nothing computed: parts, copies, orders, borders, dimensions."""
