package dev.podidentity.agent.doctor;

import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * A role's trust policy, as far as EKS Pod Identity is concerned.
 *
 * @param document in IAM's policy language
 */
record TrustPolicy(Tree document) {

    /** The actions that EKS Auth needs. */
    static final List<String> ACTIONS = List.of("sts:AssumeRole", "sts:TagSession");
    /** The statement that allows them, on one line. */
    static final String STATEMENT = "{\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"pods.eks.amazonaws.com\"},"
            + "\"Action\":[\"sts:AssumeRole\",\"sts:TagSession\"]}";

    private static final String SERVICE = "pods.eks.amazonaws.com";

    /** Returns the actions that no statement allows, or that one denies. */
    List<String> missing() {
        return ACTIONS.stream().filter(action -> !any("Allow", action) || any("Deny", action)).toList();
    }

    /** Returns whether a statement for EKS Pod Identity has conditions, which may or may not be met. */
    boolean conditional() {
        return statements().stream().anyMatch(statement -> forPods(statement) && statement.at("Condition").there());
    }

    private boolean any(String effect, String action) {
        return statements().stream().anyMatch(statement ->
                statement.at("Effect").value() instanceof String text && text.equals(effect) && forPods(statement)
                        && statement.at("Action").eachOrOne().stream().anyMatch(pattern -> matches(pattern, action)));
    }

    private List<Tree> statements() {
        return document.at("Statement").eachOrOne();
    }

    private static boolean forPods(Tree statement) {
        Tree principal = statement.at("Principal");
        return principal.value() instanceof String all && all.equals("*")
                || principal.at("Service").eachOrOne().contains(new Tree(SERVICE));
    }

    /** Actions are case-insensitive, and may contain wildcards. */
    private static boolean matches(Tree pattern, String action) {
        String regex = pattern.text().orElse("").toLowerCase(Locale.ROOT).chars()
                .mapToObj(letter -> letter == '*' ? ".*" : letter == '?' ? "." : Pattern.quote(Character.toString(letter)))
                .collect(Collectors.joining());
        return action.toLowerCase(Locale.ROOT).matches(regex);
    }
}
