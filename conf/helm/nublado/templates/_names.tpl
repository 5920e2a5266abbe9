{{/* Labels of every object of the chart. */}}
{{- define "nublado.labels" -}}
{{ include "nublado.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{/* Labels that tell the controller's pod from others; never change them. */}}
{{- define "nublado.selector" -}}
app.kubernetes.io/name: nublado
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Path prefixes, from the controller's own configuration. */}}
{{- define "nublado.prefix" -}}
{{ .Values.config.pathPrefix | default "/nublado" | trimSuffix "/" }}
{{- end }}

{{/* Where operators read what to do: the service itself serves it. */}}
{{- define "nublado.runbookUrl" -}}
{{- $own := printf "%s%s/runbook" (trimSuffix "/" .Values.baseUrl) (include "nublado.prefix" .) -}}
{{ .Values.config.runbookUrl | default .Values.config.runbook_url | default $own }}
{{- end }}

{{- define "nublado.filesPrefix" -}}
{{ (.Values.config.fileserver | default dict).pathPrefix | default "/files" | trimSuffix "/" }}
{{- end }}

{{/* An empty section enables it too. */}}
{{- define "nublado.fsadminEnabled" -}}
{{ if kindIs "map" .Values.config.fsadmin }}true{{ end }}
{{- end }}

{{- define "nublado.filesEnabled" -}}
{{ if (.Values.config.fileserver | default dict).enabled }}true{{ end }}
{{- end }}

{{/* Labels and annotations of every object of the chart. */}}
{{- define "nublado.metadata" -}}
labels:
  {{- include "nublado.labels" . | nindent 2 }}
{{- with .Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
