{{/*
Rejects unknown value names, because a misspelt one would silently have no effect. A JSON schema could also reject them, but could
not suggest the right name.
*/}}

{{/* The full names of all values. A test compares them with values.yaml. Below each of them, any name is allowed. */}}
{{- define "eks-pod-identity-agent.names" -}}
- admissionPolicies.create
- affinity
- agent.additionalArgs
- agent.livenessEndpoint
- agent.probePort
- agent.readinessEndpoint
- clusterName
- env
- events.enabled
- fullnameOverride
- image.containerRegistry
- image.override
- image.pullPolicy
- image.tag
- imagePullSecrets
- init.additionalArgs
- init.create
- metrics.enabled
- metrics.podMonitor.extraLabels
- metrics.podMonitor.interval
- metrics.port
- nameOverride
- nodeSelector
- podAnnotations
- podLabels
- podLivenessCheck.enabled
- priorityClassName
- resources
- serviceAccount.annotations
- serviceAccount.create
- serviceAccount.name
- startupTaint.enabled
- startupTaint.key
- tokenVerification
- tolerations
- updateStrategy
{{- range $kind := list "cloud" "hybrid" "hybrid-bottlerocket" }}
{{- range $name := list "additionalArgs" "additionalSecurityContext" "affinity" "create" "env" "nameSuffix" "volumeMounts" "volumes" }}
- daemonsets.{{ $kind }}.{{ $name }}
{{- end }}
{{- end }}
{{- end }}

{{/* Values of the reference's chart that this chart does not have, and the reasons. */}}
{{- define "eks-pod-identity-agent.othersNames" -}}
agent.command: the image's entry point is the agent; agent.additionalArgs adds flags
agent.advertiseProxyPort: declaring a port would claim it on every address of the node, but the agent listens only on its own addresses
init.command: the image's entry point is the agent; init.additionalArgs adds flags
image.region: it has no effect in the reference's chart either; use image.containerRegistry
metrics.path: it is always /metrics
metrics.extraLabels: there is no Service to label; use podAnnotations for scrape annotations, and metrics.podMonitor.extraLabels for labels
metrics.serviceMonitor: there is no Service to scrape; metrics.enabled creates a PodMonitor, which metrics.podMonitor configures
{{- end }}

{{/* Checks a mapping of values recursively. Takes a dict of path, values, names and others. */}}
{{- define "eks-pod-identity-agent.checkNames" -}}
{{- range $name, $value := .values }}
  {{- $path := printf "%s%s" $.path $name }}
  {{- $inside := false }}
  {{- range $.names }}
    {{- if hasPrefix (printf "%s." $path) . }}{{ $inside = true }}{{ end }}
  {{- end }}
  {{- if has $path $.names }}
  {{- else if $inside }}
    {{- if kindIs "map" $value }}
      {{- include "eks-pod-identity-agent.checkNames"
          (dict "path" (printf "%s." $path) "values" $value "names" $.names "others" $.others) }}
    {{- end }}
  {{- else if hasKey $.others $path }}
    {{- fail (printf "\n\nThis chart does not have the value %s of Amazon's chart: %s.\n" $path (get $.others $path)) }}
  {{- else }}
    {{- $nearest := include "eks-pod-identity-agent.nearest" (dict "path" $path "names" $.names) }}
    {{- fail (printf "\n\nThere is no value %s. Is %s meant?\n" $path $nearest) }}
  {{- end }}
{{- end }}
{{- end }}

{{/*
The name most similar to a path: by its last part, and if that is a tie, by the whole path. The parents of values are candidates too.
Takes a dict of path and names.
*/}}
{{- define "eks-pod-identity-agent.nearest" -}}
{{- $candidates := .names }}
{{- range .names }}
  {{- $parts := splitList "." . }}
  {{- range $length := untilStep 1 (len $parts) 1 }}
    {{- $candidates = append $candidates (join "." (slice $parts 0 $length)) }}
  {{- end }}
{{- end }}
{{- $best := "" }}
{{- $least := 1000000 }}
{{- range uniq $candidates }}
  {{- $last := int (include "eks-pod-identity-agent.distance" (dict "a" (last (splitList "." $.path)) "b" (last (splitList "." .)))) }}
  {{- $all := int (include "eks-pod-identity-agent.distance" (dict "a" $.path "b" .)) }}
  {{- $distance := add (mul 3 $last) $all }}
  {{- if lt (int $distance) (int $least) }}
    {{- $best = . }}
    {{- $least = $distance }}
  {{- end }}
{{- end }}
{{- $best }}
{{- end }}

{{/* The Levenshtein distance of two words, ignoring case. */}}
{{- define "eks-pod-identity-agent.distance" -}}
{{- $b := splitList "" (lower .b) }}
{{- $row := untilStep 0 (int (add1 (len $b))) 1 }}
{{- range $i, $x := splitList "" (lower .a) }}
  {{- $next := list (int (add1 $i)) }}
  {{- range $j, $y := $b }}
    {{- $change := add (index $row $j) (ternary 0 1 (eq $x $y)) }}
    {{- $next = append $next (int (min $change (add1 (index $row (int (add1 $j)))) (add1 (index $next $j)))) }}
  {{- end }}
  {{- $row = $next }}
{{- end }}
{{- last $row }}
{{- end }}
