"""The run after the end of input: resolve, plan, check, deliver, confirm."""
