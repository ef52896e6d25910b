"""A rollout: a release manager's hand on the valve, and a guard that closes it if nobody does.

```
settings ─▶ Plan ─▶ program: a list of acts ─▶ rollout ─▶ site (docker, kubernetes, sagemaker)
                                                 │  ▲
                        intent ─ act ─ look ─ done  │ counters ─▶ analysis ─▶ Judgement
                                                 ▼
                                              journal ◀─ guard: rolls back when the lease runs out
```

The journal says how far the list was carried out, so `resume` goes on and `abort` goes back from
wherever a rollout was left. What is true is always looked up on the site; the journal only says
what was meant.
"""
