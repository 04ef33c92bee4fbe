package dev.podidentity.agent;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.Tree;
import com.sun.source.util.JavacTask;
import com.sun.source.util.TreeScanner;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaField;
import com.tngtech.archunit.core.domain.JavaGenericArrayType;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.domain.JavaParameterizedType;
import com.tngtech.archunit.core.domain.JavaType;
import com.tngtech.archunit.core.domain.JavaTypeVariable;
import com.tngtech.archunit.core.domain.JavaWildcardType;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;

/**
 * Checks that records used as map keys or set members write out {@code hashCode} and {@code equals}, because a native executable
 * interprets the generated methods, which takes microseconds per call.
 */
class RecordKeysTest {

    private static final String ROOT = "dev.podidentity.agent";
    private static final JavaClasses AGENT = new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages(ROOT);

    @Test
    void findsNoKeyInTheAgentThatLeavesThemOut() throws IOException {
        assertThat(new Rule(AGENT).broken(Path.of("src/main/java"))).isEmpty();
    }

    @Test
    void seesTheKeysThatTheAgentIsKnownToHave() {
        // Used in a map, behind a sealed interface; as a component of that key; in RecentKeys; in a set that is a map's value.
        assertThat(new Rule(AGENT).keys().keySet()).contains(
                ROOT + ".credentials.Identity$VerifiedWorkload",
                ROOT + ".token.TokenFingerprint",
                ROOT + ".cluster.EventRecorder$Told",
                ROOT + ".verification.VerificationKey");
    }

    @Test
    void findsEachKindOfKeyThatLeavesThemOut() throws IOException {
        Rule rule = new Rule(new ClassFileImporter().importClasses(
                Holder.class, Cache.class, Sealed.class, Written.class, Component.class, InMap.class, InSet.class, InCache.class,
                InSignature.class, Half.class, Behind.class, Value.class));

        assertThat(rule.broken(Path.of("src/test/java"))).containsExactlyInAnyOrder(
                name(Component.class), name(InMap.class), name(InSet.class), name(InCache.class), name(InSignature.class),
                name(Half.class), name(Behind.class));
    }

    private static String name(Class<?> type) {
        return type.getName();
    }

    private record InMap(String name) {}

    private record InSet(String name) {}

    private record InCache(String name) {}

    private record InSignature(String name) {}

    /** Has no written-out equals. */
    private record Half(String name) {

        @Override
        public int hashCode() {
            return name.hashCode();
        }
    }

    private sealed interface Sealed permits Behind {}

    private record Behind(String name) implements Sealed {}

    private record Component(String name) {}

    private record Written(Optional<Component> component) {

        @Override
        public boolean equals(Object other) {
            return other instanceof Written that && component.equals(that.component);
        }

        @Override
        public int hashCode() {
            return component.hashCode();
        }
    }

    /** Is not used as a key. */
    private record Value(String name) {}

    /** A custom container, which the rule must recognize without being told about it. */
    private static final class Cache<V, K> {

        private final Map<K, V> entries = new HashMap<>();
    }

    private static final class Holder {

        private final Map<InMap, Value> map = new HashMap<>();
        private final Map<Half, Value> half = new LinkedHashMap<>();
        private final Map<String, Set<? extends InSet>> nested = new HashMap<>();
        private final Cache<Value, InCache> cache = new Cache<>();
        private final Set<Sealed> sealed = new HashSet<>();
        private final List<Set<Written>[]> written = new ArrayList<>();

        Set<InSignature> members() {
            return Set.of();
        }
    }

    /** Finds the keys in the fields and signatures of a set of classes. */
    private static final class Rule {

        private final JavaClasses classes;
        /** The indexes of the type parameters that are keys, by container class. */
        private final Map<String, Set<Integer>> containers = new HashMap<>();

        Rule(JavaClasses classes) {
            this.classes = classes;
            boolean found = true;
            while (found) {
                found = false;
                for (JavaClass type : classes) {
                    found |= findKeyParameters(type);
                }
            }
        }

        /** Treats a class as a keyed container too if one of its fields is a container keyed by one of its type parameters. */
        private boolean findKeyParameters(JavaClass type) {
            Set<Integer> known = containers.computeIfAbsent(type.getName(), name -> new HashSet<>());
            int before = known.size();
            List<? extends JavaTypeVariable<?>> parameters = type.getTypeParameters();
            for (JavaField field : type.getFields()) {
                keysIn(field.getType(), key -> {
                    for (int i = 0; i < parameters.size(); i++) {
                        if (key.getName().equals(parameters.get(i).getName())) {
                            known.add(i);
                        }
                    }
                });
            }
            return known.size() > before;
        }

        /** Returns the records that are keys or parts of keys, by name. */
        Map<String, JavaClass> keys() {
            Map<String, JavaClass> records = new HashMap<>();
            for (JavaClass type : classes) {
                Consumer<JavaType> add = key -> key.getAllInvolvedRawTypes().forEach(raw -> addRecords(raw, records));
                type.getFields().forEach(field -> keysIn(field.getType(), add));
                type.getCodeUnits().forEach(code -> {
                    keysIn(code.getReturnType(), add);
                    code.getParameterTypes().forEach(parameter -> keysIn(parameter, add));
                });
            }
            return records;
        }

        /** Adds a record or the record subtypes of an interface, and the records in their components. */
        private void addRecords(JavaClass type, Map<String, JavaClass> records) {
            if (!classes.contain(type.getName())) {
                return;
            }
            type.getAllSubclasses().forEach(one -> addRecords(one, records));
            if (type.isRecord() && records.putIfAbsent(type.getName(), type) == null) {
                type.getFields().stream()
                        .filter(field -> !field.getModifiers().contains(JavaModifier.STATIC))
                        .flatMap(field -> field.getAllInvolvedRawTypes().stream())
                        .forEach(raw -> addRecords(raw, records));
            }
        }

        private void keysIn(JavaType type, Consumer<JavaType> found) {
            if (type instanceof JavaParameterizedType parameterized) {
                List<JavaType> arguments = parameterized.getActualTypeArguments();
                keyParameters(type.toErasure()).forEach(index -> found.accept(arguments.get(index)));
                arguments.forEach(argument -> keysIn(argument, found));
            } else if (type instanceof JavaWildcardType wildcard) {
                wildcard.getUpperBounds().forEach(bound -> keysIn(bound, found));
            } else if (type instanceof JavaGenericArrayType array) {
                keysIn(array.getComponentType(), found);
            }
        }

        private Set<Integer> keyParameters(JavaClass container) {
            boolean keyedByFirst = container.isAssignableTo(Map.class) || container.isAssignableTo(Set.class);
            return keyedByFirst ? Set.of(0) : containers.getOrDefault(container.getName(), Set.of());
        }

        /** Returns the keys that do not write out both methods in their source, sorted. */
        Set<String> broken(Path sources) throws IOException {
            Set<String> broken = new TreeSet<>(keys().keySet());
            broken.removeAll(writtenOut(sources));
            return broken;
        }
    }

    /** Returns the records in a folder whose source contains both methods. */
    private static Set<String> writtenOut(Path sources) throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        try (StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null);
                Stream<Path> paths = Files.walk(sources)) {
            List<Path> all = paths.filter(path -> path.toString().endsWith(".java")).toList();
            JavacTask task = (JavacTask) compiler.getTask(null, files, null, List.of(), null, files.getJavaFileObjectsFromPaths(all));
            Set<String> found = new HashSet<>();
            for (CompilationUnitTree unit : task.parse()) {
                new RecordScanner(found).scan(unit, unit.getPackageName() + ".");
            }
            return found;
        } catch (UncheckedIOException e) {
            throw e.getCause();
        }
    }

    private static final class RecordScanner extends TreeScanner<Void, String> {

        private final Set<String> found;

        RecordScanner(Set<String> found) {
            this.found = found;
        }

        @Override
        public Void visitClass(ClassTree type, String outer) {
            String name = outer + type.getSimpleName();
            Set<String> methods = type.getMembers().stream()
                    .filter(MethodTree.class::isInstance)
                    .map(member -> ((MethodTree) member).getName() + "/" + ((MethodTree) member).getParameters().size())
                    .collect(Collectors.toSet());
            if (type.getKind() == Tree.Kind.RECORD && methods.containsAll(Set.of("hashCode/0", "equals/1"))) {
                found.add(name);
            }
            return super.visitClass(type, name + "$");
        }
    }
}
