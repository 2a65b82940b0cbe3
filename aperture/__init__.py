"""The vocabulary that every part shares: contract, settings, store, commands. Read `aperture.contract` first."""
