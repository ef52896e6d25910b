"""The places that a canary is deployed to; each is its options, and makes a site.

A target is a frozen pydantic model with one method, `site(name)`, for the deployment of that name:
that is all that a rollout knows of it. Add one in a file of its own, and a line in `registry.py`.

`docker` is the embedded one: one machine with a Docker engine and HAProxy.

```yaml
# model-gates.canary.yml
version: 1
deployments:
  credit:
    model: credit-default
    target:
      docker:
        router: {socket: /run/haproxy/model-gates.sock, backend: credit}
        stable: 127.0.0.1:8081
        canary: 127.0.0.1:8082
        health: {path: /health}
        artifact: /model/model.onnx
        stable_container: credit-by-hand    # until the first rollout, what a person started
```

```
model-gates canary haproxy-config credit >/etc/haproxy/haproxy.cfg   # the canary is shut in it
systemctl reload haproxy
```

Whoever runs a rollout needs the engine's socket and HAProxy's, so it runs on that machine: a
self-hosted runner, for example. The models get neither of the two.
"""
