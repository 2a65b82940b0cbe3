"""`aperture flash`: puts the firmware and its secrets on a camera over a cable, and waits until it is online.

`command` is the way through all of it. `port` looks at what hangs on the serial port; `remote` is mpremote; `survey`
asks the board what it is and has; `files` makes what it is to have; `plan` compares the two and orders the work so that
no moment is a bad one to pull the cable; `writer` does it, by `parcels`; `account` and `wifi` make the secrets;
`online` waits for the camera's word, and `diagnosis` reads its serial log when that doesn't come.
"""
