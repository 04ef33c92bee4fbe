package dev.podidentity.agent;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaCall;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.properties.HasOwner;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import dev.podidentity.agent.token.VerifiedClaims;
import java.nio.file.Path;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Checks that dependencies between the agent's packages go one way, as the folder tree suggests. */
class ArchitectureTest {

    private static final String ROOT = "dev.podidentity.agent";
    private static final JavaClasses AGENT = new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
            .importPackages(ROOT);

    /** Returns the packages that each package may use. A new dependency must be added here, with a reason. */
    static Stream<Arguments> packages() {
        return Stream.of(
                // Maps failures to responses, so it knows their types; asks network which other processes use its ports.
                arguments("http", Set.of(
                        "token", "verification", "credentials", "eksauth", "network", "loop", "config", "observe")),
                arguments("credentials", Set.of("eksauth", "token", "verification", "loop", "config", "observe")),
                arguments("eksauth", Set.of("token", "outbound", "config", "observe")),
                // Gets signing keys, token reviews and pods from the API server, and reports EKS Auth's refusals as Events.
                arguments("cluster", Set.of(
                        "apiserver", "verification", "token", "eksauth", "outbound", "loop", "config", "observe")),
                arguments("apiserver", Set.of("outbound", "loop", "config", "observe")),
                arguments("verification", Set.of("token", "outbound", "loop", "config", "observe")),
                arguments("token", Set.of("config", "observe")),
                arguments("cli", Set.of("config", "observe")),
                // Checks everything that the agent needs, but does not depend on how the agent serves.
                arguments("doctor", Set.of("cli", "apiserver", "eksauth", "network", "outbound", "loop", "config")),
                // Limits repeated log lines with classes of loop, which depends on no other package.
                arguments("observe", Set.of("loop", "config")),
                arguments("config", Set.of()),
                arguments("outbound", Set.of()),
                arguments("loop", Set.of()),
                arguments("network", Set.of()),
                arguments("startup", Set.of()),
                arguments("memory", Set.of("loop")));
    }

    @ParameterizedTest
    @MethodSource("packages")
    void letsDependenciesGoOneWay(String name, Set<String> allowed) {
        Set<String> used = AGENT.stream()
                .filter(type -> packageOf(type).equals(name))
                .flatMap(type -> type.getDirectDependenciesFromSelf().stream())
                .map(dependency -> dependency.getTargetClass().getBaseComponentType())
                .filter(type -> type.getPackageName().startsWith(ROOT))
                .map(ArchitectureTest::packageOf)
                .filter(other -> !other.equals(name))
                .collect(Collectors.toSet());

        assertThat(allowed).containsAll(used);
    }

    @Test
    void hasARuleForEveryPackage() {
        Set<String> ruled = packages().map(row -> (String) row.get()[0]).collect(Collectors.toSet());
        Set<String> there = AGENT.stream()
                .map(ArchitectureTest::packageOf)
                .filter(name -> !name.isEmpty())
                .collect(Collectors.toSet());

        assertThat(ruled).isEqualTo(there);
    }

    @Test
    void saysOfEachPackageWhatItIsFor() {
        assertThat(AGENT.stream().map(JavaClass::getPackageName).distinct())
                .allSatisfy(name -> assertThat(Path.of("src/main/java", name.split("\\.")).resolve("package-info.java")).exists());
    }

    @Test
    void hasNoCyclesBetweenPackages() {
        slices().matching(ROOT + ".(*)..").should().beFreeOfCycles().check(AGENT);
    }

    @Test
    void keepsTheEmulatorOutOfTheProduct() {
        noClasses().should().dependOnClassesThat().resideInAPackage("dev.podidentity.emulator..").check(AGENT);
    }

    /** Anyone can put any name into a token, so only code that verifies it or asks the API server may create verified claims. */
    @Test
    void letsNobodyClaimToHaveVerifiedAToken() {
        noClasses()
                .that()
                .resideOutsideOfPackages(ROOT + ".verification", ROOT + ".cluster")
                .should()
                .callConstructorWhere(JavaCall.Predicates.target(HasOwner.Predicates.With.owner(
                        JavaClass.Predicates.equivalentTo(VerifiedClaims.class))))
                .check(AGENT);
    }

    /** Only one class gives the parser a key and an algorithm. All other classes use jose4j only to read keys. */
    @Test
    void doesNotLetTokensChooseTheirAlgorithm() {
        noClasses()
                .that()
                .doNotHaveFullyQualifiedName(ROOT + ".verification.TokenParser")
                .and()
                .doNotHaveFullyQualifiedName(ROOT + ".verification.TokenParser$Outcome")
                .should()
                .dependOnClassesThat()
                .resideInAnyPackage("io.smallrye.jwt..", "org.jose4j.jwt..", "org.jose4j.jwa..", "org.jose4j.jws..",
                        "org.jose4j.jwk..", "org.jose4j.jwe..")
                .check(AGENT);
    }

    /** Given a location, the parser would fetch keys itself, with blocking calls and without limits. */
    @Test
    void givesTheParserNoLocationOfKeys() {
        classes()
                .that()
                .haveFullyQualifiedName(ROOT + ".verification.TokenParser")
                .should()
                .onlyCallMethodsThat(DescribedPredicate.describe("set only a known key", method ->
                        !method.getOwner().getName().equals("io.smallrye.jwt.auth.principal.JWTAuthContextInfo")
                                || Set.of("setPublicVerificationKey", "setSignatureAlgorithm", "setIssuedBy",
                                        "setExpectedAudience", "setClockSkew", "setMaxTimeToLiveSecs")
                                        .contains(method.getName())))
                .check(AGENT);
    }

    @Test
    void neverSleeps() {
        noClasses().should().callMethod(Thread.class, "sleep", long.class).check(AGENT);
        noClasses().should().callMethod(Thread.class, "sleep", long.class, int.class).check(AGENT);
    }

    @Test
    void neverTakesItsOwnCredentialsFromAContainerCredentialsEndpoint() {
        noClasses()
                .should()
                .dependOnClassesThat()
                .haveSimpleNameStartingWith("ContainerCredentialsProvider")
                .orShould()
                .dependOnClassesThat()
                .haveSimpleNameStartingWith("DefaultCredentialsProvider")
                .check(AGENT);
    }

    /** Returns the first segment of a class's package below the root, or an empty string for the root itself. */
    private static String packageOf(JavaClass type) {
        String below = type.getPackageName().substring(ROOT.length());
        return below.isEmpty() ? "" : below.substring(1).split("\\.")[0];
    }
}
