package dev.podidentity.kubernetes;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.introspect.Annotated;
import com.fasterxml.jackson.databind.introspect.JacksonAnnotationIntrospector;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.HasMetadata;
import io.fabric8.kubernetes.api.model.ServiceAccount;
import io.fabric8.kubernetes.api.model.admissionregistration.v1.ValidatingAdmissionPolicy;
import io.fabric8.kubernetes.api.model.admissionregistration.v1.ValidatingAdmissionPolicyBinding;
import io.fabric8.kubernetes.api.model.apps.DaemonSet;
import io.fabric8.kubernetes.api.model.rbac.ClusterRole;
import io.fabric8.kubernetes.api.model.rbac.ClusterRoleBinding;
import java.util.Map;

/**
 * Parses manifests into the Kubernetes API model and fails on unknown fields, which an API server would drop with a warning
 * that is easy to miss.
 */
final class StrictModel {

    private static final Map<String, Class<? extends HasMetadata>> KINDS = Map.of(
            "v1 ConfigMap", ConfigMap.class,
            "v1 ServiceAccount", ServiceAccount.class,
            "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy", ValidatingAdmissionPolicy.class,
            "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding", ValidatingAdmissionPolicyBinding.class,
            "apps/v1 DaemonSet", DaemonSet.class,
            "rbac.authorization.k8s.io/v1 ClusterRole", ClusterRole.class,
            "rbac.authorization.k8s.io/v1 ClusterRoleBinding", ClusterRoleBinding.class);

    private static final ObjectMapper MAPPER = new ObjectMapper()
            .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .setAnnotationIntrospector(new JacksonAnnotationIntrospector() {
                /** Disables the map in which the model's classes keep unknown fields, so that these are errors. */
                @Override
                public Boolean hasAnySetter(Annotated member) {
                    return false;
                }
            });

    private StrictModel() {}

    /** @throws IllegalArgumentException if a field or the kind is unknown; the message names it */
    static HasMetadata read(Map<String, ?> document) {
        String kind = document.get("apiVersion") + " " + document.get("kind");
        if (!KINDS.containsKey(kind)) {
            throw new IllegalArgumentException("Unknown kind: " + kind);
        }
        return MAPPER.convertValue(document, KINDS.get(kind));
    }
}
