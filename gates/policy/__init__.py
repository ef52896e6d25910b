"""The rules that a candidate is held to: where they are read from, and what proposes to bend them.

On a pull request they are those of the base commit (`base`); what it would change in them is told
(`changes`) and holds once it is merged. What an untrusted run says it found is judged anew by them
(`rejudge`).
"""
