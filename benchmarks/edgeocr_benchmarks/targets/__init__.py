"""Where a probe runs: this machine, a board behind ssh, a phone behind adb, an emulated board."""
