{{/*
A GafaelfawrIngress for some routes.

Takes a dictionary: root (the chart's context), name, config (what Gafaelfawr
does beyond the base URL and the name of the service) and paths, which are
regular expressions.

nginx takes all paths of a host for beginnings, as soon as one of them is a
regular expression, and tries the longest first. So a path that has to match to
its end says so with "$", even where an exact path would do.
*/}}
{{- define "nublado.ingress" -}}
{{- $root := .root -}}
{{- $regex := dict "nginx.ingress.kubernetes.io/use-regex" "true" -}}
apiVersion: gafaelfawr.lsst.io/v1alpha1
kind: GafaelfawrIngress
metadata:
  name: {{ $root.Release.Name }}-{{ .name }}
  {{- include "nublado.metadata" $root | nindent 2 }}
config:
  baseUrl: {{ $root.Values.baseUrl | quote }}
  service: {{ $root.Release.Name }}
  {{- toYaml .config | nindent 2 }}
template:
  metadata:
    name: {{ $root.Release.Name }}-{{ .name }}
    annotations:
      {{- merge $regex $root.Values.ingress.annotations | toYaml | nindent 6 }}
  spec:
    rules:
      - host: {{ (urlParse $root.Values.baseUrl).hostname | quote }}
        http:
          paths:
            {{- range .paths }}
            - path: {{ . | quote }}
              pathType: ImplementationSpecific
              backend:
                service:
                  name: {{ $root.Release.Name }}
                  port:
                    name: http
            {{- end }}
    {{- with $root.Values.ingress.tls }}
    tls:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
