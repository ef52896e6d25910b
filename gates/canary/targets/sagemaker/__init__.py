"""An endpoint of SageMaker: by the weights of its variants, or by its own guardrails."""
