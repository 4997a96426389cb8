"""HTTP and WebSocket plumbing. It knows no system: `app` hands it what it needs."""
