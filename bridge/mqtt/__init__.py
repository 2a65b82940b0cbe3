"""The bridge's side of MQTT: `link` is the connection, `inbound` hears, `mailman` and `showcase` say."""
