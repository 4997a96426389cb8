"""The world machine: commands, events, log, time and chance. It knows no game system."""
