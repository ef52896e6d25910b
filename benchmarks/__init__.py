"""How long a gate run takes and how much memory, side by side with what people use today."""
