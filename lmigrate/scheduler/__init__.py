"""Choice of the destination: filters say which hosts can take a guest, weighers which of them is best."""
