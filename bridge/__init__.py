"""Links MQTT events and FTP completions, and posts photos to Discord. Read `discord` for the client side."""
