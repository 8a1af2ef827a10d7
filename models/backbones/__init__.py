"""Networks F of the denoiser: model.backbone names one."""
