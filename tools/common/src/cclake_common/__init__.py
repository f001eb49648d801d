"""Process manners shared by the tools: exits, signals, settings."""
