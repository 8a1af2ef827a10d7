"""What the methods that train students of a frozen teacher share."""
