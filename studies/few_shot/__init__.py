"""The study of few shots: what does a denoiser know of classes that it never saw?"""
