"""Numbers of other packages beside ours: each module yields the rows of one of them."""
