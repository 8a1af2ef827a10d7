"""Methods of training: each says what is trained, and by which gradients."""
