"""How far the shares of classes among generated images are from wanted ones."""
