"""What pipelines.clean may remove, where that takes thought."""
