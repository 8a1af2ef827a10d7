"""One thin module per stage; the only floor that knows DVC, Ray and MLflow."""
