"""What cameras connect to: `mqtt` runs the message broker, `ftp` takes the photos."""
