"""Methods of training: what is trained, and by which gradients."""
