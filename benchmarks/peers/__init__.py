"""The whole path beside what one would use instead; the peers are the optional extra `bench`."""
