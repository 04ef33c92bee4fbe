package dev.podidentity.emulator;

import java.io.InputStream;
import java.time.Duration;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import org.yaml.snakeyaml.constructor.SafeConstructor;
import org.yaml.snakeyaml.error.YAMLException;

/**
 * Reads an {@link EmulatorConfig} from YAML. Unknown keys are errors, because a misspelled key would otherwise have no
 * effect.
 */
final class EmulatorYaml {

    private static final Set<String> FIELDS =
            Set.of("cluster", "region", "audience", "credentialLifetime", "associations");
    private static final Set<String> ASSOCIATION_FIELDS =
            Set.of("namespace", "serviceAccount", "roleArn", "associationId");

    private EmulatorYaml() {}

    static EmulatorConfig read(InputStream yaml) {
        Object root;
        try {
            root = new Yaml(new SafeConstructor(new LoaderOptions())).load(yaml);
        } catch (YAMLException e) {
            throw new IllegalArgumentException("The configuration must be YAML: " + e.getMessage(), e);
        }
        EmulatorConfig config = EmulatorConfig.defaults();
        Map<?, ?> fields = mapping("The configuration", root, FIELDS);
        if (fields.containsKey("cluster")) {
            config = config.withClusterName(text(fields, "", "cluster"));
        }
        if (fields.containsKey("region")) {
            config = config.withRegion(text(fields, "", "region"));
        }
        if (fields.containsKey("audience")) {
            config = config.withAudience(text(fields, "", "audience"));
        }
        if (fields.containsKey("credentialLifetime")) {
            config = config.withCredentialLifetime(duration(text(fields, "", "credentialLifetime")));
        }
        if (fields.containsKey("associations")) {
            config = config.withAssociations(associations(fields.get("associations")));
        }
        return config;
    }

    private static List<Association> associations(Object value) {
        if (!(value instanceof List<?> items)) {
            throw new IllegalArgumentException("associations must be a list: " + value);
        }
        List<Association> associations = new ArrayList<>();
        for (Object item : items) {
            associations.add(association("associations[" + associations.size() + "]", item));
        }
        return associations;
    }

    private static Association association(String name, Object value) {
        Map<?, ?> fields = mapping(name, value, ASSOCIATION_FIELDS);
        String prefix = name + ".";
        String namespace = text(fields, prefix, "namespace");
        String serviceAccount = text(fields, prefix, "serviceAccount");
        String roleArn = text(fields, prefix, "roleArn");
        String associationId = text(fields, prefix, "associationId");
        try {
            return new Association(namespace, serviceAccount, roleArn, associationId);
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException(prefix + e.getMessage(), e);
        }
    }

    private static Map<?, ?> mapping(String name, Object value, Set<String> known) {
        if (!(value instanceof Map<?, ?> fields)) {
            throw new IllegalArgumentException(name + " must be a mapping: " + value);
        }
        for (Object key : fields.keySet()) {
            if (!known.contains(key)) {
                throw new IllegalArgumentException(
                        name + " must only have the fields " + known.stream().sorted().toList() + ": " + key);
            }
        }
        return fields;
    }

    private static String text(Map<?, ?> fields, String prefix, String key) {
        if (fields.get(key) instanceof String text) {
            return text;
        }
        throw new IllegalArgumentException(prefix + key + " must be a string: " + fields.get(key));
    }

    private static Duration duration(String text) {
        try {
            // 6h and 1h30m are ISO 8601 durations without their prefix.
            return Duration.parse(text.startsWith("P") ? text : "PT" + text);
        } catch (DateTimeParseException e) {
            throw new IllegalArgumentException("credentialLifetime must be a duration such as 6h or PT6H: " + text, e);
        }
    }
}
