"""What a trained network says of files that belong to no data set: found, read, decided, told."""
