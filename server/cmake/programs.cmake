# The programs: the server, the worker that holds a device, and the client for a shell.
file(GLOB app_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/src/app/*.cc)
list(REMOVE_ITEM app_sources ${CMAKE_CURRENT_SOURCE_DIR}/src/app/main.cc)
add_library(ems_app STATIC ${app_sources})
# The headers of CLI11 with all debug information take 800 MB.
set_source_files_properties(${CMAKE_CURRENT_SOURCE_DIR}/src/app/options.cc PROPERTIES COMPILE_OPTIONS -g1)
target_compile_definitions(ems_app PRIVATE EMS_VERSION="${PROJECT_VERSION}")
target_link_libraries(ems_app PUBLIC ems_grpc ems_rest ems_devices ems_loader ems_batching ems_warmup CLI11::CLI11)
add_executable(edge_model_server ${CMAKE_CURRENT_SOURCE_DIR}/src/app/main.cc)
target_link_libraries(edge_model_server PRIVATE ems_app)
target_link_options(edge_model_server PRIVATE -Wl,--as-needed)
install(TARGETS edge_model_server RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

add_executable(edge_model_client src/programs/edge_model_client.cc)
set_source_files_properties(src/client/client.cc PROPERTIES COMPILE_DEFINITIONS EMS_VERSION="${PROJECT_VERSION}")
target_link_libraries(edge_model_client PRIVATE ems_client)
target_link_options(edge_model_client PRIVATE -Wl,--as-needed)
install(TARGETS edge_model_client RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# A program of its own, so that a worker maps no gRPC. Nobody starts it by hand.
add_executable(edge_model_worker src/programs/edge_model_worker.cc)
target_link_libraries(edge_model_worker PRIVATE ems_worker)
target_link_options(edge_model_worker PRIVATE -Wl,--as-needed)
install(TARGETS edge_model_worker RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/edge-model-server)
