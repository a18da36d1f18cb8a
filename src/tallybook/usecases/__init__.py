"""The verbs: one module a noun, one public function a verb, one transaction each (two around a Stripe call)."""
