"""A second copy of each training run, in a folder or an S3 bucket, from which it can go on."""
