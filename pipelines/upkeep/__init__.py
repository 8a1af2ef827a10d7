"""Commands that write what follows from the code: the page of knobs, the code lists of dvc.yaml."""
