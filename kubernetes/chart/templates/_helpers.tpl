{{/* The names follow the reference's chart, so that "helm upgrade" from it to this one changes its objects in place. */}}

{{/* Joins a name and a suffix within the 63 characters that Kubernetes allows. Takes a dict of name and suffix. */}}
{{- define "eks-pod-identity-agent.suffixed" -}}
{{- if .suffix -}}
{{- printf "%s-%s" (.name | trunc (int (sub 62 (len .suffix))) | trimSuffix "-") .suffix -}}
{{- else -}}
{{- .name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* The value of the name label; with a suffix, that of the DaemonSet's pods. Takes a dict of root and suffix. */}}
{{- define "eks-pod-identity-agent.name" -}}
{{- include "eks-pod-identity-agent.suffixed" (dict "name" (default .root.Chart.Name .root.Values.nameOverride) "suffix" .suffix) -}}
{{- end }}

{{/* The name of an object. Takes a dict of root and suffix. */}}
{{- define "eks-pod-identity-agent.fullname" -}}
{{- $name := default .root.Chart.Name .root.Values.nameOverride -}}
{{- if .root.Values.fullnameOverride -}}
{{- $name = .root.Values.fullnameOverride -}}
{{- else if contains $name .root.Release.Name -}}
{{- $name = .root.Release.Name -}}
{{- else -}}
{{- $name = printf "%s-%s" .root.Release.Name $name -}}
{{- end -}}
{{- include "eks-pod-identity-agent.suffixed" (dict "name" $name "suffix" .suffix) -}}
{{- end }}

{{- define "eks-pod-identity-agent.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "eks-pod-identity-agent.fullname" (dict "root" . "suffix" "")) .Values.serviceAccount.name -}}
{{- else -}}
{{- .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{/* Labels of all objects. */}}
{{- define "eks-pod-identity-agent.labels" -}}
app.kubernetes.io/name: {{ include "eks-pod-identity-agent.name" (dict "root" . "suffix" "") }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: agent
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The labels by which a DaemonSet selects its pods. Takes a dict of root and suffix. */}}
{{- define "eks-pod-identity-agent.selectorLabels" -}}
app.kubernetes.io/name: {{ include "eks-pod-identity-agent.name" . }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "eks-pod-identity-agent.image" -}}
{{- if .Values.image.override -}}
{{- .Values.image.override -}}
{{- else -}}
{{- $tag := default .Chart.AppVersion (toString .Values.image.tag) -}}
{{- if .Values.image.containerRegistry -}}
{{- printf "%s/eks-pod-identity-agent:%s" .Values.image.containerRegistry $tag -}}
{{- else -}}
{{- printf "eks-pod-identity-agent:%s" $tag -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The region, if it is set. */}}
{{- define "eks-pod-identity-agent.region" -}}
{{- get (default dict .Values.env) "AWS_REGION" -}}
{{- end }}

{{/* Not empty if the agent uses the API server. */}}
{{- define "eks-pod-identity-agent.asksTheApiServer" -}}
{{- if or (ne .Values.tokenVerification "none") .Values.podLivenessCheck.enabled .Values.events.enabled .Values.startupTaint.enabled -}}
true
{{- end -}}
{{- end }}

{{/* Flags and their values, as separate arguments. */}}
{{- define "eks-pod-identity-agent.arguments" -}}
{{- range $flag, $value := . }}
- {{ $flag | quote }}
- {{ $value | quote }}
{{- end }}
{{- end }}

{{/* The agent's environment variables as a mapping: the chart's, then the user's. Takes a dict of root and daemonset. */}}
{{- define "eks-pod-identity-agent.environment" -}}
{{- $values := .root.Values -}}
{{- $settings := dict
    "AGENT_CLUSTER_NAME" $values.clusterName
    "AGENT_PROBE_PORT" $values.agent.probePort
    "AGENT_METRICS_PORT" $values.metrics.port -}}
{{- if contains "-iso" (include "eks-pod-identity-agent.region" .root) -}}
{{- $_ := set $settings "AWS_CA_BUNDLE" "/etc/pki/tls/certs/ca-bundle.crt" -}}
{{- end -}}
{{- if ne $values.tokenVerification "none" -}}
{{- $_ := set $settings "AGENT_TOKEN_VERIFICATION" $values.tokenVerification -}}
{{- $_ := set $settings "AGENT_KEYS_FILE" "/var/lib/eks-pod-identity-agent/keys.json" -}}
{{- end -}}
{{- if $values.podLivenessCheck.enabled -}}
{{- $_ := set $settings "AGENT_POD_WATCH" "true" -}}
{{- end -}}
{{- if $values.events.enabled -}}
{{- $_ := set $settings "AGENT_EVENTS" "true" -}}
{{- end -}}
{{- if $values.startupTaint.enabled -}}
{{- $_ := set $settings "AGENT_STARTUP_TAINT" $values.startupTaint.key -}}
{{- end -}}
{{- range $name, $value := mergeOverwrite $settings (deepCopy (default dict $values.env)) (deepCopy (default dict .daemonset.env)) }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}
