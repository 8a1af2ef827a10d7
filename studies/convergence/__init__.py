"""What is a way of training worth? Time to quality, in images and in processor seconds."""
