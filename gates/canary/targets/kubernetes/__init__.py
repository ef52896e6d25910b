"""A cluster: Gateway API, Istio, Argo Rollouts or KServe."""
