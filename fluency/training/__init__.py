"""Fine-tuning: the plan of devices, the order of rows, checkpoints."""
