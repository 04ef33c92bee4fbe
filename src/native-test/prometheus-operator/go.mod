// The Prometheus Operator's own definitions of PodMonitor and PrometheusRule, in example/prometheus-operator-crd of this
// module: for the tests that apply kubernetes/prometheus to a real API server. Nothing of it is built.
module dev.podidentity/prometheus-operator

go 1.24.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
