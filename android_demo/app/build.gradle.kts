import groovy.json.JsonSlurper
import java.security.MessageDigest

plugins {
    alias(libs.plugins.android.application)
    alias(libs.plugins.kotlin.android)
}

/** Folder with bundle.json, as edgeocr-convert makes it: `-Pbundle=/path/to/bundle`. */
val bundleFolder = file(providers.gradleProperty("bundle").getOrElse("../../bundles/ppocrv4-int8"))

android {
    namespace = "io.github.edgeocr.demo"
    compileSdk = 36

    defaultConfig {
        applicationId = "io.github.edgeocr.demo"
        minSdk = 23
        targetSdk = 36
        versionCode = 1
        versionName = "1.0"
        buildConfigField("String", "LITERT_VERSION", "\"${libs.versions.litert.get()}\"")
        ndk {
            // The phones and emulators of today. Add "armeabi-v7a" for old phones.
            abiFilters += listOf("arm64-v8a", "x86_64")
        }
    }

    buildFeatures {
        buildConfig = true
    }

    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_11
        targetCompatibility = JavaVersion.VERSION_11
    }

    // LiteRT maps what is stored as it is.
    androidResources {
        noCompress += "tflite"
    }

    sourceSets["main"].java.srcDir("../platform/src/main/java")
    sourceSets["main"].res.srcDir("../platform/src/main/res")

    buildTypes {
        release {
            isMinifyEnabled = true
            proguardFiles(getDefaultProguardFile("proguard-android-optimize.txt"))
        }
    }
}

kotlin {
    compilerOptions {
        allWarningsAsErrors.set(true)
    }
}

dependencies {
    implementation(project(":demo"))
    implementation(libs.activity)
    implementation(libs.camera.camera2)
    implementation(libs.camera.lifecycle)
    implementation(libs.camera.view)
    implementation(libs.coroutines.android)
    implementation(libs.lifecycle.runtime)
    implementation(libs.lifecycle.viewmodel)
    implementation(libs.litert)
}

/** Copies the bundle and the sample page into the assets, once every checksum is right. */
abstract class PackAssets : DefaultTask() {
    @get:InputDirectory
    abstract val bundle: DirectoryProperty

    @get:InputFile
    abstract val sample: RegularFileProperty

    @get:OutputDirectory
    abstract val assets: DirectoryProperty

    @TaskAction
    fun pack() {
        val from = bundle.get().asFile
        val manifest = from.resolve("bundle.json")
        if (!manifest.isFile) {
            throw GradleException("$from has no bundle.json; name a bundle with -Pbundle=FOLDER")
        }
        val stages = (JsonSlurper().parse(manifest) as Map<*, *>)["stages"] as Map<*, *>
        val sums = stages.values.associate { stage ->
            (stage as Map<*, *>)["file"] as String to stage["sha256"] as String
        }.toMutableMap()
        val rec = stages["rec"] as Map<*, *>
        sums[rec["charset_file"] as String] = rec["charset_sha256"] as String
        val to = assets.get().asFile
        to.deleteRecursively()
        for ((name, sum) in sums) {
            val content = from.resolve(name).readBytes()
            val found = MessageDigest.getInstance("SHA-256").digest(content)
                .joinToString("") { byte -> "%02x".format(byte) }
            if (found != sum) {
                throw GradleException("$name has not the sha256 that $manifest states")
            }
            to.resolve("bundle/$name").apply { parentFile.mkdirs() }.writeBytes(content)
        }
        manifest.copyTo(to.resolve("bundle/bundle.json"))
        sample.get().asFile.let { it.copyTo(to.resolve("samples/${it.name}")) }
    }
}

val packAssets = tasks.register<PackAssets>("packAssets") {
    bundle.set(bundleFolder)
    sample.set(file("../../docs/samples/receipt.jpg"))
}

androidComponents {
    onVariants { variant ->
        variant.sources.assets?.addGeneratedSourceDirectory(packAssets, PackAssets::assets)
    }
}

/** Contents, checksums and 16 KB pages of every debug APK: what build_offline.sh checks too. */
val checkApk = tasks.register<Exec>("checkApk") {
    val apk = layout.buildDirectory.file("outputs/apk/debug/app-debug.apk")
    commandLine("python3", file("../check_apk.py"), apk.get().asFile)
}

tasks.matching { it.name == "assembleDebug" }.configureEach {
    finalizedBy(checkApk)
}
